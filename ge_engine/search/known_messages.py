"""Messages of Python, torch and ours that a repair needs, with a place for each number, shape and name.

`#` stands for a number, `<shape>` for sizes such as [8, 3, 32, 32] or 8x12, `<name>` for a dotted name and
`<type>` for a type of numbers. Words are taken from Python 3.11 to 3.14 and torch 2.9 to 2.12; a message is
known as far as it begins like one of these. `##` is the character and a number.
"""

# ruff: noqa: E501

from __future__ import annotations

import re

SHAPES = """
mat1 and mat2 shapes cannot be multiplied (<shape> and <shape>)
mat1 and mat2 must have the same dtype, but got <type> and <type>
The size of tensor a (#) must match the size of tensor b (#) at non-singleton dimension #
The expanded size of the tensor (#) must match the existing size (#) at non-singleton dimension #. Target sizes: <shape>. Tensor sizes: <shape>
Sizes of tensors must match except in dimension #. Expected size # but got size # for tensor number # in the list
Sizes of tensors must match except in dimension #. Got # and #
Tensors must have same number of dimensions: got # and #
stack expects each tensor to be equal size, but got <shape> at entry # and <shape> at entry #
shape '<shape>' is invalid for input of size #
cannot reshape tensor of # elements into shape <shape>
output with shape <shape> doesn't match the broadcast shape <shape>
shape mismatch: value tensor of shape <shape> cannot be broadcast to indexing result of shape <shape>
The shape of the mask <shape> at index # does not match the shape of the indexed tensor <shape> at index #
Dimension out of range (expected to be in range of <shape>, but got #)
index # is out of bounds for dimension # with size #
index out of range in self
number of dims don't match in permute
permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = # is not equal to len(dims) = #
batch1 and batch2 must be 3D tensors
Expected size for first two dimensions of batch2 tensor to be: <shape> but got: <shape>
expected m1 and m2 to have the same dtype, but got: <type> != <type>
inconsistent tensor size, expected tensor <shape> and src <shape> to have the same number of elements, but got # and # elements respectively
size mismatch, got input (#), mat (<shape>), vec (#)
The tensor has a non-zero number of elements, but its data is not allocated yet
view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead
split_with_sizes expects split_sizes to sum exactly to # (input tensor's size at dimension #), but got split_sizes=<shape>
unflatten: Provided sizes <shape> don't multiply up to the size of dim # (#) in the input tensor
einsum(): subscript <name> has size # for operand # which does not broadcast with previously seen size #
einsum(): the number of subscripts in the equation (#) does not match the number of dimensions (#) for operand #
chunk expects `chunks` to be greater than 0, got: #
shifts and dimensions must align. shifts: #, dims:#
<name>(): index # out of range for tensor of size <shape> at dimension #
Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor
Halving dimension must be even, but dimension # is size #
<name>: Dimension size must be non-negative
Trying to create tensor with negative dimension #: <shape>
the model returned a <name> without a tensor of shape (n, #)
the entry gives a <name> instead of a torch.nn.Module
"""

LAYERS = """
Given groups=#, weight of size <shape>, expected input<shape> to have # channels, but got # channels instead
Given groups=#, expected weight to be at least # at dimension #, but got weight of size <shape> instead
Given transposed=#, weight of size <shape>, expected input<shape> to have # channels, but got # channels instead
Given weight of size <shape>, expected bias to be #-dimensional with # elements, but got bias of size <shape> instead
Expected #D (unbatched) or #D (batched) input to <name>, but got input of size: <shape>
Expected #D or #D (batch mode) tensor with optional 0 dim batch size for input, but got: <shape>
non-empty #D or #D (batch mode) tensor expected for input
<name>(): Expected #D or #D tensor, but got <shape>
<name>: Expected #D or #D tensor, but got <shape>
Calculated padded input size per channel: <shape>. Kernel size: <shape>. Kernel size can't be greater than actual input size
Given input size: <shape>. Calculated output size: <shape>. Output size is too small
Input and output sizes should be greater than 0, but got input (H: #, W: #) output (H: #, W: #)
Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of <shape> and output size of <shape>
expected #D input (got #D input)
expected #D or #D input (got #D input)
Expected more than 1 value per channel when training, got input size <shape>
Expected more than 1 spatial element when training, got input size <shape>
running_mean should contain # elements not #
running_var should contain # elements not #
weight should contain # elements not #
bias should contain # elements not #
Expected number of channels in input to be divisible by num_groups, but got input of shape <shape> and num_groups=#
Expected weight to be a vector of size equal to the number of channels in input, but got weight of shape <shape> and input of shape <shape>
Given normalized_shape=<shape>, expected input with shape <shape>, but got input of size<shape>
normalized_shape should be <shape>
in_channels must be divisible by groups
out_channels must be divisible by groups
groups must be a positive integer
num_channels must be divisible by num_groups
num_channels (#) must be divisible by num_groups (#)
embed_dim must be divisible by num_heads
embed_dim # not divisible by num_heads #
was expecting embedding dimension of #, but got #
query should be unbatched 2D or batched 3D tensor but received #-D query tensor
input.size(-1) must be equal to input_size. Expected #, got #
input must have # dimensions, got #
LSTM: Expected input to be 2D or 3D, got #D instead
GRU: Expected input to be 2D or 3D, got #D instead
pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)=# is not divisible by #
pad should be at most half of effective kernel size, but got pad=#, kernel_size=# and dilation=#
pad should be at most half of kernel size, but got pad=# and kernel_size=#
padding='same' is not supported for strided convolutions
Padding size should be less than the corresponding input dimension, but got: padding <shape> at dimension # of input <shape>
Padding length must be divisible by 2
Padding length should be less than or equal to two times the input dimension but got padding length # and input of dimension #
Padding size # is not supported for #D input tensor
Mismatch of parameter numbers and input channel size. Found parameter numbers = # and channel size = #
expected stride to be a single integer value or a list of # values to match the convolution dimensions, but got stride=<shape>
<name> is not a Module subclass
Invalid padding string '<name>', should be one of {
padding_mode must be one of {
non-positive stride is not supported
negative padding is not supported
stride should not be zero
kernel size should be greater than zero, but got kH: # kW: #
dropout probability has to be between 0 and 1, but got #
drop probability has to be between 0 and 1, but got #
Module [<name>] is missing the required "forward" function
cannot assign module before Module.__init__() call
cannot assign parameter before Module.__init__() call
cannot assign parameters before Module.__init__() call
cannot assign '<name>' as parameter '<name>'
cannot assign '<name>' object to parameter '<name>'
cannot assign '<name>' as child module '<name>'
cannot assign '<name>' object to buffer '<name>'
attribute '<name>' already exists
"""

LEARNING = """
element # of tensors does not require grad and does not have a grad_fn
a leaf Variable that requires grad is being used in an in-place operation
one of the variables needed for gradient computation has been modified by an inplace operation
Trying to backward through the graph a second time
Only Tensors of floating point and complex dtype can require gradients
One of the differentiated Tensors does not require grad
Expected input batch_size (#) to match target batch_size (#)
Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead
mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: <type>
Expected tensor for argument ## '<name>' to have one of the following scalar types: Long, Int; but got <type> instead
Expected target size <shape>, got <shape>
optimizer got an empty parameter list
get_optimizer returned a <name>, not an optimizer
Target # is out of bounds
Input type (<type>) and bias type (<type>) should be the same
Input type (<type>) and weight type (<type>) should be the same
expected scalar type <type> but found <type>
Index put requires the source and destination dtypes match, got <type> for the destination and <type> for the source
result type <type> can't be cast to the desired output type <type>
"<name>" not implemented for '<type>'
Boolean value of Tensor with more than one value is ambiguous
only integer tensors of a single element can be converted to an index
Cannot copy out of meta tensor; no data
Tensor on device <name> is not on the expected device
Expected all tensors to be on the same device
# parameters need # GiB to train; # are allowed
CUDA out of memory
"""

PYTHON = """
not enough values to unpack (expected #, got #)
not enough values to unpack (expected at least #, got #)
too many values to unpack (expected #, got #)
too many values to unpack (expected #)
cannot unpack non-iterable <name> object
'<name>' object is not callable
'<name>' object is not iterable
'<name>' object is not subscriptable
'<name>' object is not an iterator
'<name>' object does not support item assignment
'<name>' object has no attribute '<name>'
type object '<name>' has no attribute '<name>'
module '<name>' has no attribute '<name>'
name '<name>' is not defined
cannot access local variable '<name>' where it is not associated with a value
cannot access free variable '<name>' where it is not associated with a value in enclosing scope
<name>() missing # required positional argument: '<name>'
<name>() missing # required positional arguments: '<name>' and '<name>'
<name>() missing # required positional arguments
<name>() missing # required keyword-only argument: '<name>'
<name>() takes # positional arguments but # were given
<name>() takes # positional argument but # were given
<name>() takes from # to # positional arguments but # were given
<name>() got an unexpected keyword argument '<name>'
<name>() got multiple values for argument '<name>'
<name>() received an invalid combination of arguments
<name>(): argument '<name>' (position #) must be <name>, not <name>
<name>(): argument '<name>' must be <name>, not <name>
<name>(): argument '<name>' failed to unpack the object at pos #
<name>(): argument '<name>' must be tuple of ints, not <name>
unsupported operand type(s) for <operator>: '<name>' and '<name>'
bad operand type for unary <operator>: '<name>'
'<operator>' not supported between instances of '<name>' and '<name>'
can only concatenate <name> (not "<name>") to <name>
can't multiply sequence by non-int of type '<name>'
'<name>' object cannot be interpreted as an integer
'<name>' object cannot be interpreted as an index
<name> indices must be integers or slices, not <name>
<name> index out of range
range() arg 3 must not be zero
pop from empty list
division by zero
float division by zero
integer division or modulo by zero
math domain error
maximum recursion depth exceeded
object of type '<name>' has no len()
argument of type '<name>' is not iterable
No module named '<name>'
cannot import name '<name>' from '<name>'
super(): no arguments
super(type, obj): obj must be an instance or subtype of type
__init__() should return None, not '<name>'
'<name>'
"""

ENDINGS = """
still running after # s
used more processor time than allowed (SIGXCPU)
killed by SIG<name>
exited with status # without a result
it filled its scratch folder
it sent more than the answers asked for
the process that started it died
"""

VERDICTS = """
the model returns a tensor of shape <shape> where <shape> is wanted
the model returns NaN or infinity before any training
no gradient reaches <name>
not registered as a submodule or parameter: <name>
#% of the parent's parameters, where at least #% are asked for
#% of the parent's parameters, where at most #% are asked for
#% of the parent's FLOPs, where at least #% are asked for
#% of the parent's FLOPs, where at most #% are asked for
parameters and FLOPs within #% of the parent's, where more is asked for
it computes the same function as <name>, before and after a training step
the loss is not finite
"""

NUMBER = r"-?\d{1,3}(?:,\d{3}){1,4}|-?\d{1,9}(?:\.\d{1,4})?"
SIZES = rf"(?:torch\.Size\()?[\[(]?(?:(?:{NUMBER}|\*)(?:(?:, ?| ?x ?)(?:{NUMBER})){{0,7}})?,?[\])]?\)?"
HOLES = {
    "##": rf"\#(?:{NUMBER})",
    "#": rf"(?:{NUMBER})",
    "<shape>": SIZES,
    "<name>": r"(?P<name>[A-Za-z_][\w.]{0,99})",
    "<type>": r"(?:(?:c10::|torch\.|torch\.cuda\.)?(?:BFloat16|Half|Float|Double|Long|Int|Short|Char|Byte|Bool"
    r"|float|double|half|long|int|bool|bfloat16|float16|float32|float64|int32|int64|uint8)(?:Tensor)?)",
    "<operator>": r"(?:[-+*/%@<>=&|^~!]{1,3}|\*\* or pow\(\)|//|divmod\(\))",
}


def compiled(template: str) -> re.Pattern[str]:
    """A template as a pattern. Names are the groups name0, name1, ..., in order."""
    parts, names = [], 0
    for part in re.split(r"(##|#|<shape>|<name>|<type>|<operator>)", template):
        if part == "<name>":
            parts.append(HOLES[part].replace("?P<name>", f"?P<name{names}>"))
            names += 1
        else:
            parts.append(HOLES.get(part) or re.escape(part))
    return re.compile("".join(parts))


KNOWN = tuple(
    compiled(line)
    for table in (SHAPES, LAYERS, LEARNING, PYTHON, ENDINGS, VERDICTS)
    for line in table.strip().splitlines()
)
