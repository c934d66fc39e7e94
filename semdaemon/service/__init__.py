"""semdaemon as a service of the system or of one user: unit files for systemd."""
