# elbo_embed(target FILE symbol): the file's bytes as `extern const char symbol[]` and
# `extern const std::size_t symbol_size`; none and 0 if FILE does not exist.
function(elbo_embed target file symbol)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.cpp)
  if(EXISTS ${file})
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
    file(SIZE ${file} size)
  else()
    message(STATUS "Elbo: no ${file}; reports will lack what it draws")
    set(bytes "")
    set(size 0)
  endif()
  file(WRITE ${output}.new "#include <cstddef>\nextern const char ${symbol}[];\n"
    "extern const std::size_t ${symbol}_size;\nconst char ${symbol}[] = {${bytes}'\\0'};\n"
    "const std::size_t ${symbol}_size = ${size};\n")
  file(COPY_FILE ${output}.new ${output} ONLY_IF_DIFFERENT)
  target_sources(${target} PRIVATE ${output})
endfunction()
