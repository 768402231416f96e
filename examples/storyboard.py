"""Draw three storyboard frames without any key, from Python.

python examples/storyboard.py [WORKSPACE]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile

from hoasi import Ask, Studio

PROMPT = "Một người phụ nữ mở cửa ban công đón nắng sớm"


async def main(workspace: str) -> None:
    """Plan, look at the price, make, and make again: the second time costs nothing and changes nothing."""
    ask = Ask(prompt=PROMPT, provider="local", num_images=3, aspect_ratio="9:16")
    async with Studio(workspace) as studio:
        print((await studio.preview(ask)).message)
        reply = await studio.generate(ask)
        print(reply.message)
        print(*(path for entry in reply.generations for path in entry.outputs), sep="\n")
        print((await studio.generate(ask)).message)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="hoasi-")))
