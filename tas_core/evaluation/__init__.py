"""How good outputs or models are: measures, systems to compare, runs over a data set."""
