# cmake -DINPUT=<text file> -DOUTPUT=<C file> -P embed.cmake
#
# Writes the bytes of INPUT as the array that corpus.h declares.
file(READ ${INPUT} bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR length "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REPEAT "....." 16 line)
string(REGEX REPLACE "(${line})" "\\1\n    " bytes "${bytes}")
file(
  WRITE ${OUTPUT}
  "/* Generated from corpus.txt by embed.cmake. */\n"
  "#include \"model/corpus.h\"\n\n"
  "const size_t rn_model_corpus_len = ${length};\n"
  "const unsigned char rn_model_corpus[] = {\n    ${bytes}\n};\n")
