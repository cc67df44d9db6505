"""How a model runs here: device, precision, memory, processes, inference."""
