"""The words behind the label banks: WordNet, mining, the split, lists, pair texts."""
