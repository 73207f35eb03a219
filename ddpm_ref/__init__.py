"""The reference implementation of the course: a class-conditional diffusion model, from data to pictures.

One module a chapter: `data` (1), `embeddings` (2), `blocks` (3), `unet` (4), `diffusion` (5),
`loss` (6), `sampling` (7), `training` (8), `clip.clip` (9). Around them: `datasets` fetches pictures and
`shapes` draws the embedded ones, `presets` holds the recipes, `launch` trains by one, `runs` is the folder
of a run, `painting` draws with what came out, `judge` and `referee` look at it, `cli` is the command line.
"""

__version__ = "0.1.0"
