"""Sends a copy of every image of an acquisition to semdaemon, and never disturbs the acquisition.

    from pycromanager import Acquisition
    from semdaemon_hook import Refocus

    with Acquisition(directory, name, image_saved_fn=Refocus().image_saved_fn) as acquisition:
        ...

Whatever happens here, the acquisition does not notice: nothing blocks, nothing is raised,
and what cannot be sent at once is dropped and counted.
"""

from semdaemon_hook.refocus import Counts, Refocus

__all__ = ["Counts", "Refocus"]
__version__ = "0.1.0"
