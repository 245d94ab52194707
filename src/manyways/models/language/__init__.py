"""Language models: tokenizers, architectures, packed batches, sampling."""
