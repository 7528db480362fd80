"""How much of others' files, streams and answers is read. SECURITY.md lists these for users.

Each is far above what good input has, and is told in the message of what passes it.
"""

# Pictures
DECODING_BYTES = 2**30  # that all decoders of a process hold at once; no picture may need more

# Videos and streams
VIDEO_PIXELS = 8192 * 4320  # of a frame; the largest that cameras and AV1's levels 6.x have
VIDEO_PACKETS = 20_000_000  # of a file: 46 hours at 120 frames per second
VIDEO_FRAMES = 5_000_000  # sampled from one file: 46 hours at 30 per second, 57 days at one
HOLD_SECONDS = 60.0  # that a frame stays on the screen; a longer step is a gap
SILENCE_SECONDS = 10.0  # without an answer after which a source counts as lost

# Texts
TEXT_BYTES = 2**28  # of a list or a JSON file: 5 times the longest in use, of 1.3 million pictures
JSON_DEPTH = 100  # levels; what the programs read has at most about ten
JSON_DIGITS = 100  # Python converts up to 4,300 to an int, but from 309 on no int to a float
YAML_BYTES = 2**20  # about 25,000 atoms; the parser takes seconds for it
YAML_PARTS = 2**20  # with aliases written out

# A caption server, a receiver of alarms
ANSWER_BYTES = 2**20  # of an answer when decompressed; 128 tokens are about 600 bytes
ANSWER_CHARACTERS = 100_000  # of its text that are read

# Arrays, checkpoints, tars
NPY_BYTES = 2**30  # 134 million frames of float64
EMBEDDING_BYTES = 2**33  # of the arrays of one .npz; other files are read where they lie
NPY_HEADER = 4096  # characters; np.save writes 118 for an array of numbers
PICKLE_BYTES = 2**26  # of a pickle, also within a .pt
PICKLE_OPCODES = 2**22
PICKLE_DEPTH = 100
PICKLE_VALUES = 2**24  # with what is there by reference counted each time
ZIP_DIRECTORY = 2**26  # bytes of a .pt's table of contents
REPEATED_BYTES = 2**28  # of a tensor that repeats its storage: stride 0 costs a file nothing
TAR_MEMBERS = 2**20  # of one tar: its index is in memory
TAR_HEADER = 2**16  # bytes of an extended header: a path, times, attributes
TAR_GLOBAL_HEADER = 2**12  # of one for all members after it: `tarfile` goes over it each time
TAR_CHAIN = 8  # extended headers of one member, which `tarfile` reads by recursion
TAR_LABEL = 2**20  # bytes
STORE_CHUNK = 2**28  # bytes of a chunk of the embedding store

# Alarms
CLIP_BYTES = 2**25  # of a camera's latest pictures, as JPEG: 60 s of 640 × 480 at 10 a second
SPOOL_BYTES = 2**30  # of alarms that wait for one receiver: about 10,000 with their pictures
ALARM_SECONDS = 10.0  # for a receiver's whole answer
