#include "kernels/cuda/persistent_launch.cuh"
