"""Every page and every plot that a person looks at."""
