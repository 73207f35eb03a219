"""The figures of the site. Each module declares its own; importing them is all that is needed."""

from docs.tools.drawings import course as course
from docs.tools.drawings import diffusion as diffusion
from docs.tools.drawings import explorer as explorer
from docs.tools.drawings import network as network
from docs.tools.drawings import noise_dial as noise_dial
from docs.tools.drawings import scrubber as scrubber
from docs.tools.drawings import symptoms as symptoms
