"""The bundled tasks: what each takes. What it computes is imported when it is called."""
