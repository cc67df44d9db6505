"""The app: a page in the browser that runs one's own pictures through the installed models.

The functions behind its tabs are plain and typed, and know nothing of Gradio: `reconstruct`,
`compress`, `denoise`, `detect` and `sample`. Only `page` and `server` import Gradio.
"""
