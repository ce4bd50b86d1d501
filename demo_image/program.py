import sys

import numpy
import pandas

table = pandas.DataFrame({"n": range(1, 6)})
table["square"] = numpy.square(table["n"])
print(f"Hello from Python {sys.version.split()[0]}, numpy {numpy.__version__}, pandas {pandas.__version__}")
print(table.to_string(index=False))
