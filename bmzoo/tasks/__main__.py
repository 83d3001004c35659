"""What `./doit` runs."""

import sys

from bmzoo.runtime.streams import ended
from bmzoo.tasks.command_line import Main

if __name__ == "__main__":
    sys.exit(ended(lambda: Main().run(sys.argv[1:])))
