"""Makes the generated client and the shared test code importable."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / ".venv" / "generated"), str(REPOSITORY / "tests" / "python")]
