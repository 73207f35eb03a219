"""What builds the site: Markdown fences, numbers from benchmarks, figures, checks around the build."""
