"""Every setting, one model a section.

Precedence, highest first: command line, environment ``SEMDAEMON_<SECTION>__<KEY>``, settings file, default.
"""

from semdaemon.settings.advising import Advice
from semdaemon.settings.intake import Folder, Limits, MicroManager, NDTiff, Pushed, Spool
from semdaemon.settings.load import load_settings
from semdaemon.settings.reach import Page, Publish
from semdaemon.settings.section import (
    FILE_NAME,
    Curve,
    Section,
    default_keys_dir,
    default_output_dir,
    default_settings_path,
    default_state_dir,
    is_local_endpoint,
    is_loopback,
)
from semdaemon.settings.settings import Daemon, Settings
from semdaemon.settings.text import example_toml, settings_toml, toml_value
from semdaemon.settings.work import Focus, Output, Refocus, Worker

__all__ = [
    "FILE_NAME",
    "Advice",
    "Curve",
    "Daemon",
    "Focus",
    "Folder",
    "Limits",
    "MicroManager",
    "NDTiff",
    "Output",
    "Page",
    "Publish",
    "Pushed",
    "Refocus",
    "Section",
    "Settings",
    "Spool",
    "Worker",
    "default_keys_dir",
    "default_output_dir",
    "default_settings_path",
    "default_state_dir",
    "example_toml",
    "is_local_endpoint",
    "is_loopback",
    "load_settings",
    "settings_toml",
    "toml_value",
]
