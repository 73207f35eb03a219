"""Pictures that a learner's own code makes, one module a chapter: `draw(module, out) -> sentence`."""
