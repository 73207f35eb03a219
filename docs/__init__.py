"""The site. `docs.tools` is what builds it; this file keeps another package called docs from being taken."""
