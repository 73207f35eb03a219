"""What builds the site: Markdown fences, numbers from benchmarks, figures, and the checks around the build."""
