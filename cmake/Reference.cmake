# cmake -DDOXYGEN=… -DFOLDER=… -P Reference.cmake: the reference of the public headers, in
# FOLDER/html.  A type without a comment is an error, as is whatever else Doxygen warns of; members
# may speak for themselves.
file(MAKE_DIRECTORY ${FOLDER})
execute_process(COMMAND ${DOXYGEN} ${FOLDER}/../Doxyfile COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS ${FOLDER}/warnings warnings)
list(FILTER warnings EXCLUDE REGEX "Member .* is not documented")
if(warnings)
  list(JOIN warnings "\n" text)
  message(FATAL_ERROR "${text}")
endif()
