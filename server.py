"""Front door: `mcp run server.py`, or any client that is pointed at this file. The house is in `src/hoasi`."""

from hoasi.server import build

mcp = build()

if __name__ == "__main__":
    mcp.run("stdio")
