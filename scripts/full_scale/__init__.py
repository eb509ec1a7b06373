"""Full scale: every row of the paper's table on a machine with a GPU that is lent for minutes and has no network."""
