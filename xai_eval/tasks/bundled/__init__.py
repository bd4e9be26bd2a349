"""The bundled tasks: their names and parameters. The code that computes is imported when a task is called."""
