"""Hostile and odd films through the whole pipeline, each result judged by a plain ffmpeg.

    python -m bench.corpus [--clips FOLDER] [--only TEXT] [--out FILE]

See `films` for what is made, `run` for what must hold, `judge` for the second opinion.
"""
