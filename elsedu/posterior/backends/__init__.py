"""The ways of computing the sum over patches, one module each; `elsedu.posterior.engine` chooses among them."""
