"""``python -m actum`` is the command ``actum``."""

import sys

from ._program import main

sys.exit(main())
