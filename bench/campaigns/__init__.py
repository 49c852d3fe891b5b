"""Long trials: `./dauso campaign NAME` runs one of these modules."""
