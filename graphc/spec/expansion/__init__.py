"""From a module to a network: items become nodes, bodies are unrolled, the whole is put together."""
