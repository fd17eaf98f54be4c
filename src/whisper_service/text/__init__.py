"""Text in and out: languages, output formats, captions, normalisation for scoring."""
