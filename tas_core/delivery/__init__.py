"""What a rendered scene is handed over as: formats with objects, ambisonics and loudspeakers, block by block."""
