"""``python -m semdaemon``."""

from semdaemon.cli import main

if __name__ == "__main__":
    main()
