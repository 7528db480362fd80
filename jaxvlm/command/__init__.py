"""The command ``jaxvlm PROGRAM``, and what its programs share.

`programs` lists them and starts one; `cli` is the frame of each: flags in, one clear line out when
the input is wrong; `encoder_flags` are the flags of those that encode.
"""
