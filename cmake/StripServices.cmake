# cmake -DINPUT=... -DOUTPUT=... -P StripServices.cmake
#
# Copies a .proto without its service blocks: of protobuf-c's output only the messages are used, and
# its service structs cannot express an rpc named like a C keyword ("Register").
file(READ ${INPUT} text)
string(REPLACE ";" "<semicolon>" text "${text}")
string(REGEX REPLACE "service [A-Za-z]+ {[^}]*}" "" text "${text}")
string(REPLACE "<semicolon>" ";" text "${text}")
file(WRITE ${OUTPUT} "${text}")
