"""Sends a copy of every image of an acquisition to semdaemon, and brings back what it advises.

    from pycromanager import Acquisition
    from semdaemon_hook import Refocus

    with Acquisition(directory, name, image_saved_fn=Refocus().image_saved_fn) as acquisition:
        ...

`Advice` is for the script's own hooks, which may take a frame again or correct the focus.
Whatever happens here, the acquisition does not notice: nothing blocks, nothing is raised,
and what cannot be sent at once is dropped and counted.
"""

from semdaemon_hook.advice import Advice
from semdaemon_hook.advised import Advised
from semdaemon_hook.refocus import Counts, Refocus

__all__ = ["Advice", "Advised", "Counts", "Refocus"]
__version__ = "0.1.0"
