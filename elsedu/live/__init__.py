"""The machine in the reader's browser (chapter "Computing it fast")."""
