"""UCF-Crime and XD-Violence as the literature evaluates on them."""
