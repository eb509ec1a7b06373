"""Small things that everything uses: checks of arguments, whole files, progress bars, records."""
