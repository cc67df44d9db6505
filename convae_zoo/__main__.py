"""``python -m convae_zoo``: the command line."""

import sys

from convae_zoo.cli import main

sys.exit(main())
