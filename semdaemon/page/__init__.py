"""The live web page, metrics and health: read-only, offline, for this machine alone."""
