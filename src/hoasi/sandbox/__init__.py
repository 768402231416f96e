"""Room: sandbox, the mirror image of the providers (floor 2).

A local server that speaks a provider's wire over a real socket on 127.0.0.1, so that everything up to kill -9 can be
tried without a key and without money. Shared parts: `faults` (what may go wrong), `gate` (where it goes wrong), `line`
(waiting and slots), `shelf` (files), `easel` (pictures), `serving` (life of the server), `control` (levers over HTTP).
One provider = `<provider>.py` (its routes) and, where needed, `<provider>_*.py`; it is listed in `sandbox.PROVIDERS`.
"""

from hoasi.sandbox.faults import Fault
from hoasi.sandbox.sandbox import Sandbox
from hoasi.sandbox.serving import DEFAULT_PORT, run, serving, serving_in_thread

__all__ = ["DEFAULT_PORT", "Fault", "Sandbox", "run", "serving", "serving_in_thread"]
