"""From a data set to the batches that losses take: regression, and few-shot classification of pictures."""
