"""The documented path of the skill's script; it lives in `skills/fal-image-generator/` (skill names take hyphens)."""

import runpy
from pathlib import Path

SKILLS = Path(__file__).resolve().parents[2]
runpy.run_path(str(SKILLS / "fal-image-generator" / "scripts" / "fal_image_generator.py"), run_name="__main__")
