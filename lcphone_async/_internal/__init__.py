"""Tools that every package uses: argument checks, tasks, clocks, secrets, lazy imports."""
