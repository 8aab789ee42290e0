"""Data shipped with hiddenpop: published tables under `datasets`, whole studies under `studies`.

Nothing here is code. Each folder has a README with provenance, licence and known
problems; `manifest.json` holds the SHA-256 of every file.
"""

__all__: list[str] = []
