#ifndef MYPYC_NATIVE_83be0aad4b7bb4b14562_H
#define MYPYC_NATIVE_83be0aad4b7bb4b14562_H
#include <Python.h>
#include <CPy.h>
#ifndef MYPYC_DECLARED_tuple_T1O
#define MYPYC_DECLARED_tuple_T1O
typedef struct tuple_T1O {
    PyObject *f0;
} tuple_T1O;
#endif

#ifndef MYPYC_DECLARED_tuple_T2OO
#define MYPYC_DECLARED_tuple_T2OO
typedef struct tuple_T2OO {
    PyObject *f0;
    PyObject *f1;
} tuple_T2OO;
#endif

#ifndef MYPYC_DECLARED_tuple_T7OOOOOOO
#define MYPYC_DECLARED_tuple_T7OOOOOOO
typedef struct tuple_T7OOOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
    PyObject *f6;
} tuple_T7OOOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T11OOOOOOOOOOO
#define MYPYC_DECLARED_tuple_T11OOOOOOOOOOO
typedef struct tuple_T11OOOOOOOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
    PyObject *f6;
    PyObject *f7;
    PyObject *f8;
    PyObject *f9;
    PyObject *f10;
} tuple_T11OOOOOOOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T2IO
#define MYPYC_DECLARED_tuple_T2IO
typedef struct tuple_T2IO {
    CPyTagged f0;
    PyObject *f1;
} tuple_T2IO;
#endif

#ifndef MYPYC_DECLARED_tuple_T3OOO
#define MYPYC_DECLARED_tuple_T3OOO
typedef struct tuple_T3OOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
} tuple_T3OOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T2IC
#define MYPYC_DECLARED_tuple_T2IC
typedef struct tuple_T2IC {
    CPyTagged f0;
    char f1;
} tuple_T2IC;
#endif

#ifndef MYPYC_DECLARED_tuple_T2II
#define MYPYC_DECLARED_tuple_T2II
typedef struct tuple_T2II {
    CPyTagged f0;
    CPyTagged f1;
} tuple_T2II;
#endif

#ifndef MYPYC_DECLARED_tuple_T2OI
#define MYPYC_DECLARED_tuple_T2OI
typedef struct tuple_T2OI {
    PyObject *f0;
    CPyTagged f1;
} tuple_T2OI;
#endif

#ifndef MYPYC_DECLARED_tuple_T2CO
#define MYPYC_DECLARED_tuple_T2CO
typedef struct tuple_T2CO {
    char f0;
    PyObject *f1;
} tuple_T2CO;
#endif

#ifndef MYPYC_DECLARED_tuple_T3IIO
#define MYPYC_DECLARED_tuple_T3IIO
typedef struct tuple_T3IIO {
    CPyTagged f0;
    CPyTagged f1;
    PyObject *f2;
} tuple_T3IIO;
#endif

#ifndef MYPYC_DECLARED_tuple_T2CT3IIO
#define MYPYC_DECLARED_tuple_T2CT3IIO
typedef struct tuple_T2CT3IIO {
    char f0;
    tuple_T3IIO f1;
} tuple_T2CT3IIO;
#endif

#ifndef MYPYC_DECLARED_tuple_T2CC
#define MYPYC_DECLARED_tuple_T2CC
typedef struct tuple_T2CC {
    char f0;
    char f1;
} tuple_T2CC;
#endif

#ifndef MYPYC_DECLARED_tuple_T4CIOO
#define MYPYC_DECLARED_tuple_T4CIOO
typedef struct tuple_T4CIOO {
    char f0;
    CPyTagged f1;
    PyObject *f2;
    PyObject *f3;
} tuple_T4CIOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T3OII
#define MYPYC_DECLARED_tuple_T3OII
typedef struct tuple_T3OII {
    PyObject *f0;
    CPyTagged f1;
    CPyTagged f2;
} tuple_T3OII;
#endif

#ifndef MYPYC_DECLARED_tuple_T0
#define MYPYC_DECLARED_tuple_T0
typedef struct tuple_T0 {
    int empty_struct_error_flag;
} tuple_T0;
#endif

#ifndef MYPYC_DECLARED_tuple_T2OT2II
#define MYPYC_DECLARED_tuple_T2OT2II
typedef struct tuple_T2OT2II {
    PyObject *f0;
    tuple_T2II f1;
} tuple_T2OT2II;
#endif

#ifndef MYPYC_DECLARED_tuple_T1T3IIO
#define MYPYC_DECLARED_tuple_T1T3IIO
typedef struct tuple_T1T3IIO {
    tuple_T3IIO f0;
} tuple_T1T3IIO;
#endif

#ifndef MYPYC_DECLARED_tuple_T2FO
#define MYPYC_DECLARED_tuple_T2FO
typedef struct tuple_T2FO {
    double f0;
    PyObject *f1;
} tuple_T2FO;
#endif

#ifndef MYPYC_DECLARED_tuple_T2OF
#define MYPYC_DECLARED_tuple_T2OF
typedef struct tuple_T2OF {
    PyObject *f0;
    double f1;
} tuple_T2OF;
#endif

#ifndef MYPYC_DECLARED_tuple_T3CIO
#define MYPYC_DECLARED_tuple_T3CIO
typedef struct tuple_T3CIO {
    char f0;
    CPyTagged f1;
    PyObject *f2;
} tuple_T3CIO;
#endif

#ifndef MYPYC_DECLARED_tuple_T54OOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOO
#define MYPYC_DECLARED_tuple_T54OOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOO
typedef struct tuple_T54OOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
    PyObject *f6;
    PyObject *f7;
    PyObject *f8;
    PyObject *f9;
    PyObject *f10;
    PyObject *f11;
    PyObject *f12;
    PyObject *f13;
    PyObject *f14;
    PyObject *f15;
    PyObject *f16;
    PyObject *f17;
    PyObject *f18;
    PyObject *f19;
    PyObject *f20;
    PyObject *f21;
    PyObject *f22;
    PyObject *f23;
    PyObject *f24;
    PyObject *f25;
    PyObject *f26;
    PyObject *f27;
    PyObject *f28;
    PyObject *f29;
    PyObject *f30;
    PyObject *f31;
    PyObject *f32;
    PyObject *f33;
    PyObject *f34;
    PyObject *f35;
    PyObject *f36;
    PyObject *f37;
    PyObject *f38;
    PyObject *f39;
    PyObject *f40;
    PyObject *f41;
    PyObject *f42;
    PyObject *f43;
    PyObject *f44;
    PyObject *f45;
    PyObject *f46;
    PyObject *f47;
    PyObject *f48;
    PyObject *f49;
    PyObject *f50;
    PyObject *f51;
    PyObject *f52;
    PyObject *f53;
} tuple_T54OOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T17OOOOOOOOOOOOOOOOO
#define MYPYC_DECLARED_tuple_T17OOOOOOOOOOOOOOOOO
typedef struct tuple_T17OOOOOOOOOOOOOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
    PyObject *f6;
    PyObject *f7;
    PyObject *f8;
    PyObject *f9;
    PyObject *f10;
    PyObject *f11;
    PyObject *f12;
    PyObject *f13;
    PyObject *f14;
    PyObject *f15;
    PyObject *f16;
} tuple_T17OOOOOOOOOOOOOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T6OOOOOO
#define MYPYC_DECLARED_tuple_T6OOOOOO
typedef struct tuple_T6OOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
} tuple_T6OOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T12OOOOOOOOOOOO
#define MYPYC_DECLARED_tuple_T12OOOOOOOOOOOO
typedef struct tuple_T12OOOOOOOOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
    PyObject *f6;
    PyObject *f7;
    PyObject *f8;
    PyObject *f9;
    PyObject *f10;
    PyObject *f11;
} tuple_T12OOOOOOOOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T8OOOOOOOO
#define MYPYC_DECLARED_tuple_T8OOOOOOOO
typedef struct tuple_T8OOOOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
    PyObject *f6;
    PyObject *f7;
} tuple_T8OOOOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T2FF
#define MYPYC_DECLARED_tuple_T2FF
typedef struct tuple_T2FF {
    double f0;
    double f1;
} tuple_T2FF;
#endif

#ifndef MYPYC_DECLARED_tuple_T5OOOOO
#define MYPYC_DECLARED_tuple_T5OOOOO
typedef struct tuple_T5OOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
} tuple_T5OOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T10OOOOOOOOOO
#define MYPYC_DECLARED_tuple_T10OOOOOOOOOO
typedef struct tuple_T10OOOOOOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
    PyObject *f6;
    PyObject *f7;
    PyObject *f8;
    PyObject *f9;
} tuple_T10OOOOOOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T4OOOO
#define MYPYC_DECLARED_tuple_T4OOOO
typedef struct tuple_T4OOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
} tuple_T4OOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T24OOOOOOOOOOOOOOOOOOOOOOOO
#define MYPYC_DECLARED_tuple_T24OOOOOOOOOOOOOOOOOOOOOOOO
typedef struct tuple_T24OOOOOOOOOOOOOOOOOOOOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
    PyObject *f6;
    PyObject *f7;
    PyObject *f8;
    PyObject *f9;
    PyObject *f10;
    PyObject *f11;
    PyObject *f12;
    PyObject *f13;
    PyObject *f14;
    PyObject *f15;
    PyObject *f16;
    PyObject *f17;
    PyObject *f18;
    PyObject *f19;
    PyObject *f20;
    PyObject *f21;
    PyObject *f22;
    PyObject *f23;
} tuple_T24OOOOOOOOOOOOOOOOOOOOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T11T2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OO
#define MYPYC_DECLARED_tuple_T11T2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OO
typedef struct tuple_T11T2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OO {
    tuple_T2OO f0;
    tuple_T2OO f1;
    tuple_T2OO f2;
    tuple_T2OO f3;
    tuple_T2OO f4;
    tuple_T2OO f5;
    tuple_T2OO f6;
    tuple_T2OO f7;
    tuple_T2OO f8;
    tuple_T2OO f9;
    tuple_T2OO f10;
} tuple_T11T2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OOT2OO;
#endif

#ifndef MYPYC_DECLARED_tuple_T1I
#define MYPYC_DECLARED_tuple_T1I
typedef struct tuple_T1I {
    CPyTagged f0;
} tuple_T1I;
#endif

#ifndef MYPYC_DECLARED_tuple_T4OIOO
#define MYPYC_DECLARED_tuple_T4OIOO
typedef struct tuple_T4OIOO {
    PyObject *f0;
    CPyTagged f1;
    PyObject *f2;
    PyObject *f3;
} tuple_T4OIOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T3T2OOT2OOT2OO
#define MYPYC_DECLARED_tuple_T3T2OOT2OOT2OO
typedef struct tuple_T3T2OOT2OOT2OO {
    tuple_T2OO f0;
    tuple_T2OO f1;
    tuple_T2OO f2;
} tuple_T3T2OOT2OOT2OO;
#endif

#ifndef MYPYC_DECLARED_tuple_T2OC
#define MYPYC_DECLARED_tuple_T2OC
typedef struct tuple_T2OC {
    PyObject *f0;
    char f1;
} tuple_T2OC;
#endif

#ifndef MYPYC_DECLARED_tuple_T9OOOOOOOOO
#define MYPYC_DECLARED_tuple_T9OOOOOOOOO
typedef struct tuple_T9OOOOOOOOO {
    PyObject *f0;
    PyObject *f1;
    PyObject *f2;
    PyObject *f3;
    PyObject *f4;
    PyObject *f5;
    PyObject *f6;
    PyObject *f7;
    PyObject *f8;
} tuple_T9OOOOOOOOO;
#endif

#ifndef MYPYC_DECLARED_tuple_T2FI
#define MYPYC_DECLARED_tuple_T2FI
typedef struct tuple_T2FI {
    double f0;
    CPyTagged f1;
} tuple_T2FI;
#endif

#ifndef MYPYC_DECLARED_tuple_T16FFFFFFFIFIIIIIII
#define MYPYC_DECLARED_tuple_T16FFFFFFFIFIIIIIII
typedef struct tuple_T16FFFFFFFIFIIIIIII {
    double f0;
    double f1;
    double f2;
    double f3;
    double f4;
    double f5;
    double f6;
    CPyTagged f7;
    double f8;
    CPyTagged f9;
    CPyTagged f10;
    CPyTagged f11;
    CPyTagged f12;
    CPyTagged f13;
    CPyTagged f14;
    CPyTagged f15;
} tuple_T16FFFFFFFIFIIIIIII;
#endif

#ifndef MYPYC_DECLARED_tuple_T11FFFFFFFFFFI
#define MYPYC_DECLARED_tuple_T11FFFFFFFFFFI
typedef struct tuple_T11FFFFFFFFFFI {
    double f0;
    double f1;
    double f2;
    double f3;
    double f4;
    double f5;
    double f6;
    double f7;
    double f8;
    double f9;
    CPyTagged f10;
} tuple_T11FFFFFFFFFFI;
#endif

#ifndef MYPYC_DECLARED_tuple_T9IIIIIIIII
#define MYPYC_DECLARED_tuple_T9IIIIIIIII
typedef struct tuple_T9IIIIIIIII {
    CPyTagged f0;
    CPyTagged f1;
    CPyTagged f2;
    CPyTagged f3;
    CPyTagged f4;
    CPyTagged f5;
    CPyTagged f6;
    CPyTagged f7;
    CPyTagged f8;
} tuple_T9IIIIIIIII;
#endif

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_worker;
    CPyTagged _sequence;
    double _wall;
    double _duration_s;
    PyObject *_decided;
    PyObject *_deadlines;
} lockgate___audit___line___StampObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__clock;
    PyObject *__path;
    PyObject *__lines;
    CPyTagged __bytes;
    CPyTagged __begun;
    char __stuck;
    PyObject *__timer;
    CPyTagged _lost;
    char _writable;
    PyObject *__outlet;
} lockgate___audit___sink___SinkObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _values;
    char _whole;
    PyObject *_stack;
    char __constants;
    CPyTagged __watched;
    CPyTagged __due;
    PyObject *__rest;
    CPyTagged __base;
    CPyTagged __token_at;
    char __in_string;
    char __string_is_key;
    char _is_plain;
    PyObject *_last_message_end;
    PyObject *__pieces;
    PyObject *__top_key;
    PyObject *__message_key;
    CPyTagged __top_start;
    PyObject *__seen;
    char __role_is_assistant;
    char __is_object;
    char __last_is_object;
} lockgate___bodies___conversation___ConversationObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___bodies___lexer___NotJsonErrorObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _values;
    char _whole;
    PyObject *_stack;
    char __constants;
    CPyTagged __watched;
    CPyTagged __due;
    PyObject *__rest;
    CPyTagged __base;
    CPyTagged __token_at;
    char __in_string;
    char __string_is_key;
} lockgate___bodies___lexer___LexerObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_model;
    tuple_T2II _model_span;
    char _stream;
    char _include_usage;
    PyObject *_usage_edit;
    CPyTagged _choices;
    CPyTagged _end;
} lockgate___bodies___scan___ScanObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_top;
    PyObject *_options;
    CPyTagged _end;
    CPyTagged _close;
    char _bare;
    PyObject *_fault;
} lockgate___bodies___scan___FieldsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *___mypyc_self__;
    PyObject *_body;
} lockgate___bodies___splices___scan_envObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
    PyObject *___mypyc_env__;
} lockgate___bodies___splices_____mypyc_lambda__0_scan_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *___mypyc_self__;
    PyObject *_body;
} lockgate___bodies___splices___walk_envObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
    PyObject *___mypyc_env__;
} lockgate___bodies___splices_____mypyc_lambda__1_walk_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *___mypyc_self__;
    PyObject *_text;
} lockgate___bodies___splices____places_envObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
    PyObject *___mypyc_env__;
} lockgate___bodies___splices_____mypyc_lambda__2__places_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
    PyObject *___mypyc_env__;
} lockgate___bodies___splices_____mypyc_lambda__3__places_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _values;
    char _whole;
    PyObject *_stack;
    char __constants;
    CPyTagged __watched;
    CPyTagged __due;
    PyObject *__rest;
    CPyTagged __base;
    CPyTagged __token_at;
    char __in_string;
    char __string_is_key;
    PyObject *_fields;
    char __is_object;
    CPyTagged __count;
    PyObject *__raw_key;
    CPyTagged __value_start;
    char __in_options;
    CPyTagged __option_count;
    PyObject *__option_key;
    CPyTagged __option_start;
} lockgate___bodies___stepwise___BodyReaderObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__blocks;
    CPyTagged _size;
    CPyTagged _charged;
    PyObject *_fault;
    PyObject *_length;
    PyObject *__read_from;
    PyObject *__reader;
    char __looked;
    PyObject *__tail;
} lockgate___bodies___upload___UploadObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__upload;
    PyObject *__edits;
    char __whole;
    CPyTagged _at;
    PyObject *_length;
} lockgate___bodies___upload___OutgoingObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__upstream;
    PyObject *__transport;
    PyObject *__outgoing;
    char __is_chunked;
    char __paused;
} lockgate___connections___body_producer___BodyProducerObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_transport;
    PyObject *_plain;
    uint32_t bitmap;
    PyObject *_router;
    PyObject *_run;
    PyObject *_peer;
    PyObject *_intake;
    PyObject *_in_hand;
    double _idle_since;
    char _is_closing;
    char _lost;
    char __tls;
    char __busy;
    char __serving;
    char __said;
    char __paused;
    char __goes_on;
    double __lingers_until;
    double __resets_by;
    PyObject *__timer;
    PyObject *_phase_timer;
    PyObject *_reader;
} lockgate___connections___client___ClientConnectionObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    double _looked_at;
    PyObject *_files;
} lockgate___connections___credentials____HeldTlsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    double _looked_at;
    PyObject *_stamp;
    PyObject *_key;
} lockgate___connections___credentials____HeldObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_directory;
    PyObject *_now;
    PyObject *__held;
    PyObject *__held_tls;
} lockgate___connections___credentials___CredentialsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_head;
    PyObject *_framing;
    double _since;
    PyObject *_upload;
    char _begun;
} lockgate___connections___inbound___RequestInProgressObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_head;
    PyObject *_body;
    PyObject *_upload;
} lockgate___connections___inbound___InboundRequestObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_waiting;
    PyObject *_arriving;
    PyObject *_unread;
    PyObject *_begun;
    char _head_is_timed;
    char _expects;
    char _is_bodiless;
    PyObject *_rejection;
    PyObject *__router;
    PyObject *__connection;
    PyObject *__tls;
    PyObject *__client;
    CPyTagged __booked;
    CPyTagged __head_size;
    CPyTagged __work;
} lockgate___connections___intake___IntakeObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _limit;
    CPyTagged _turned_away;
    CPyTagged _closed_idle;
    PyObject *__connections;
    PyObject *__by_peer;
    PyObject *__found;
    PyObject *__found_of;
} lockgate___connections___limiter___ConnectionLimiterObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *___mypyc_self__;
} lockgate___connections___limiter____look_ConnectionLimiter_envObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
    PyObject *___mypyc_env__;
} lockgate___connections___limiter_____mypyc_lambda__0__look_ConnectionLimiter_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_client;
    PyObject *__router;
    PyObject *__requests;
    PyObject *__heads;
    CPyTagged _head_bytes;
} lockgate___connections___pipeline___PipelinedRequestsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_transport;
    PyObject *_plain;
    PyObject *_listener;
    PyObject *_lost;
    PyObject *_secured_by;
    PyObject *_peer;
    char _reusable;
    double _idle_since;
    char _uploading;
    PyObject *__begun;
    PyObject *__started;
    PyObject *__framing;
    PyObject *__body;
    CPyTagged __interim;
    char __until_close;
    char __complete;
    char __reused;
    CPyTagged __sent_before;
    PyObject *__ready;
    PyObject *__failed;
} lockgate___connections___pool____OpeningObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    char _noisy;
    PyObject *__protocol;
    PyObject *__failed;
} lockgate___connections___pool____FactoryObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_pool;
    PyObject *__connected;
    PyObject *__failed;
    PyObject *__broke;
    PyObject *__addresses;
    PyObject *__trying;
    PyObject *__head_start;
    char __over;
} lockgate___connections___pool___DialObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_reactor;
    PyObject *_names;
    PyObject *_tls;
    PyObject *_backend;
    PyObject *_endpoint;
    PyObject *_private_ranges;
    PyObject *_refused;
    PyObject *_peer;
    PyObject *__idle;
    char __closed;
    PyObject *__reasons;
} lockgate___connections___pool___ConnectionPoolObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    uint32_t bitmap;
    PyObject *__router;
    PyObject *__caught_up;
    PyObject *__gave_up;
    PyObject *__look;
    PyObject *__transport;
    PyObject *__client;
    CPyTagged __booked;
    CPyTagged __taken;
    double __looked_at;
    double __moved_at;
    double __waited_s;
    CPyTagged __took;
} lockgate___connections___slow_client___SlowClientWatchObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__wheel;
    PyObject *__reach;
    PyObject *__broke;
    PyObject *__slot;
    PyObject *_at;
} lockgate___connections___timer_wheel___TimerObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__clock;
    PyObject *_now;
    PyObject *__slots;
    PyObject *__turn;
    double __expected;
    char __is_grace;
    CPyTagged _stalls;
    double _stalled_s;
} lockgate___connections___timer_wheel___TimerWheelObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    char _is_http11;
    char _wants_length;
} lockgate___connections___upstream___PeerObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_transport;
    PyObject *_plain;
    PyObject *_listener;
    PyObject *_lost;
    PyObject *_secured_by;
    PyObject *_peer;
    char _reusable;
    double _idle_since;
    char _uploading;
    PyObject *__begun;
    PyObject *__started;
    PyObject *__framing;
    PyObject *__body;
    CPyTagged __interim;
    char __until_close;
    char __complete;
    char __reused;
    CPyTagged __sent_before;
} lockgate___connections___upstream___UpstreamObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_name;
    PyObject *_allow;
    PyObject *_model;
} lockgate___doors___DoorObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___errors___kinds___RejectedErrorObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
} lockgate___errors___kinds___type_Kind_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
} lockgate___errors___kinds___terminal_Kind_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__clock;
    PyObject *__calls;
} lockgate___eventloop___later___LaterObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_written;
    char _alone;
} lockgate___eventloop___outbox___OutboxObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___eventloop___tls_transport___CarriedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_reactor;
    PyObject *_connection;
    double _checked_at;
    CPyTagged _sent_bytes;
    PyObject *_producer;
    char __pulls;
    char __held_back;
    PyObject *__upstream;
    PyObject *__opened;
    PyObject *__socket;
    CPyTagged __fd;
    char __stands;
    PyObject *__unsent;
    char __is_dry;
    CPyTagged __written;
    char __waits_to_send;
} lockgate___eventloop___tls_transport___TlsTransportObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_transport;
    PyObject *_plain;
} lockgate___eventloop___transport___ConnectionObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_reactor;
    PyObject *_socket;
    PyObject *_protocol;
    PyObject *_producer;
    char _producerPaused;
    char _streamingProducer;
    char _connected;
    char _disconnecting;
    char _disconnected;
    CPyTagged _sent_bytes;
    CPyTagged _unsent_bytes;
    PyObject *__ours;
    PyObject *__outbox;
    CPyTagged __fd;
    PyObject *__recv;
    PyObject *__send;
    PyObject *__peer;
    PyObject *__kind;
    PyObject *__pieces;
    PyObject *__begun;
    CPyTagged __at;
    char __aborting;
    char __half_closing;
    char __half_closed;
} lockgate___eventloop___transport___TransportObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_backend;
    PyObject *_name;
    PyObject *_tier;
    PyObject *_permit;
    double _started_s;
    char _reused;
    char _bytes_written;
    PyObject *_status;
    PyObject *_own_id;
    PyObject *_outcome;
    double _ended_s;
    char _counted;
    PyObject *_opened;
    char _closed;
} lockgate___exchange___attempt___AttemptObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_request;
    PyObject *_ports;
    double _started_s;
    PyObject *_order;
    PyObject *_log;
    PyObject *_skipped;
    CPyTagged __position;
    char __repeated;
    PyObject *__last;
    PyObject *__longer_than;
} lockgate___exchange___attempts___AttemptsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _epoch;
    char _probe;
} lockgate___exchange___breaker___PermitObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_state;
    double _quarantine_s;
    PyObject *__jitter;
    CPyTagged __epoch;
    PyObject *__permit;
    char __by_another;
    PyObject *__tally;
    PyObject *__well;
    double __well_at;
} lockgate___exchange___breaker___BreakerObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
} lockgate___exchange___breaker___shut_to_Opened_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_request;
    PyObject *_ports;
    PyObject *_state;
    double _started_s;
    PyObject *_attempts;
    PyObject *_deadlines;
    PyObject *_splices;
    PyObject *_status;
    PyObject *_code;
    PyObject *_outcome;
    PyObject *_terminal;
    CPyTagged _bytes_out;
    PyObject *_first_token_s;
    PyObject *_usage;
    PyObject *_response;
    CPyTagged _malformed_before;
    tuple_T2II _tokens_before;
    char __resumes;
    PyObject *__spoken;
    PyObject *__continuation;
    PyObject *__document;
    PyObject *__limits;
    PyObject *__failed_in;
    PyObject *__total_armed;
    char __heartbeat_armed;
    char __head_out;
    double __waiting_since_s;
    PyObject *__refusal;
    PyObject *__relay;
    char __begun;
    double __grace_s;
    PyObject *__held;
    CPyTagged __held_bytes;
    CPyTagged __booked;
    PyObject *__out;
    PyObject *__waits;
    PyObject *__outgoing;
} lockgate___exchange___breaking___BreakingObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_backend;
} lockgate___exchange___commands___DialObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_backend;
    PyObject *_original;
    PyObject *_edits;
} lockgate___exchange___commands___SendUpObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_backend;
    PyObject *_outgoing;
} lockgate___exchange___commands___BeginUploadObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___commands___GoOnUploadingObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_data;
} lockgate___exchange___commands___SendDownObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_name;
    double _seconds;
} lockgate___exchange___commands___ArmObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___commands___DisarmObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    double _silence_s;
    double _idle_s;
} lockgate___exchange___commands___WatchObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___commands___TouchObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___commands___StirObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    double _seconds;
} lockgate___exchange___commands___PauseObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___commands___RelayObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___commands___ReleaseUpstreamObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___commands___DropUpstreamObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    char _close;
} lockgate___exchange___commands___FinishObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___commands___BreakObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___commands___EndedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    double _connect_s;
    double _first_token_s;
    double _alive_s;
    double _whole_s;
    double _silence_s;
    double _idle_s;
    PyObject *_total_s;
    double _heartbeat_s;
    double _own_connect_s;
    double _own_first_token_s;
    double _own_silence_s;
    double _own_idle_s;
} lockgate___exchange___deadlines___DeadlinesObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___events___StartObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    char _reused;
} lockgate___exchange___events___ConnectedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___events___BodyMoreObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_scan;
} lockgate___exchange___events___BodyWholeObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_rejection;
} lockgate___exchange___events___BodyRejectedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_code;
} lockgate___exchange___events___UpstreamFailedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_head;
} lockgate___exchange___events___ResponseStartedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_data;
} lockgate___exchange___events___ResponseDataObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_head;
    PyObject *_data;
} lockgate___exchange___events___ResponseWholeObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___events___ResponseEndedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_name;
} lockgate___exchange___events___DeadlinePassedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___events___PauseOverObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_cause;
} lockgate___exchange___events___ClientGoneObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_code;
} lockgate___exchange___events___InterruptedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_request;
    PyObject *_ports;
    PyObject *_state;
    double _started_s;
    PyObject *_attempts;
    PyObject *_deadlines;
    PyObject *_splices;
    PyObject *_status;
    PyObject *_code;
    PyObject *_outcome;
    PyObject *_terminal;
    CPyTagged _bytes_out;
    PyObject *_first_token_s;
    PyObject *_usage;
    PyObject *_response;
    CPyTagged _malformed_before;
    tuple_T2II _tokens_before;
    char __resumes;
    PyObject *__spoken;
    PyObject *__continuation;
    PyObject *__document;
    PyObject *__limits;
    PyObject *__failed_in;
    PyObject *__total_armed;
    char __heartbeat_armed;
    char __head_out;
    double __waiting_since_s;
    PyObject *__refusal;
    PyObject *__relay;
    char __begun;
    double __grace_s;
    PyObject *__held;
    CPyTagged __held_bytes;
    CPyTagged __booked;
    PyObject *__out;
    PyObject *__waits;
    PyObject *__outgoing;
} lockgate___exchange___judging___JudgingObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _values;
    char _whole;
    PyObject *_stack;
    char __constants;
    CPyTagged __watched;
    CPyTagged __due;
    PyObject *__rest;
    CPyTagged __base;
    CPyTagged __token_at;
    char __in_string;
    char __string_is_key;
    CPyTagged __choices;
    char __failed;
    PyObject *__top_key;
    PyObject *__choice_key;
    PyObject *__window;
    CPyTagged __window_at;
    CPyTagged __fed;
} lockgate___exchange___large_response___LargeResponseObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__samples;
    PyObject *__held;
    double __held_until;
} lockgate___exchange___latency___LatencyObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_request;
    PyObject *_ports;
    PyObject *_state;
    double _started_s;
    PyObject *_attempts;
    PyObject *_deadlines;
    PyObject *_splices;
    PyObject *_status;
    PyObject *_code;
    PyObject *_outcome;
    PyObject *_terminal;
    CPyTagged _bytes_out;
    PyObject *_first_token_s;
    PyObject *_usage;
    PyObject *_response;
    CPyTagged _malformed_before;
    tuple_T2II _tokens_before;
    char __resumes;
    PyObject *__spoken;
    PyObject *__continuation;
    PyObject *__document;
    PyObject *__limits;
    PyObject *__failed_in;
    PyObject *__total_armed;
    char __heartbeat_armed;
    char __head_out;
    double __waiting_since_s;
    PyObject *__refusal;
    PyObject *__relay;
    char __begun;
    double __grace_s;
    PyObject *__held;
    CPyTagged __held_bytes;
    CPyTagged __booked;
    PyObject *__out;
    PyObject *__waits;
    PyObject *__outgoing;
} lockgate___exchange___machine___ExchangeObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _limit_bytes;
    CPyTagged _held_bytes;
    CPyTagged _refused;
    PyObject *__now;
    PyObject *__shares;
    PyObject *__excepted;
    PyObject *__by_client;
    PyObject *__waiting;
} lockgate___exchange___memory___MemoryBudgetObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__draw;
    PyObject *__latencies;
    PyObject *__wheels;
} lockgate___exchange___order___OrdersObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__weights;
    PyObject *__current;
} lockgate___exchange___order____SmoothWheelObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *___mypyc_self__;
} lockgate___exchange___order____weighted_Orders_envObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
    PyObject *___mypyc_env__;
} lockgate___exchange___order_____mypyc_lambda__0__weighted_Orders_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    uint32_t bitmap;
    double _retry_after_max_s;
    CPyTagged _max_event_bytes;
    PyObject *_memory;
} lockgate___exchange___ports___PortsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *___mypyc_self__;
} lockgate___exchange___ports___mypyc_attr_envObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
    PyObject *___mypyc_env__;
} lockgate___exchange___ports_____mypyc_lambda__0_mypyc_attr_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    char __show_usage;
    PyObject *__spoken;
    PyObject *__continuing;
    CPyTagged __choices;
    CPyTagged _content_events;
    PyObject *__splitter;
    PyObject *__held;
    CPyTagged __held_events_bytes;
    PyObject *__seen;
    PyObject *__finished;
    PyObject *__spoke;
    char __is_plain;
    char __began_with_reason;
    char __was_taken_back;
    char _committed;
    char _done;
    PyObject *_broken;
    PyObject *_error;
    char _saw_data;
    CPyTagged _malformed_events;
    PyObject *_usage;
} lockgate___exchange___relay___StreamRelayObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_request_id;
    PyObject *_client;
    PyObject *_client_request_id;
    PyObject *_body;
    PyObject *_scan;
    PyObject *_route;
    PyObject *_client_headers;
    PyObject *_response_headers;
    char _chunks;
    char _closes;
    PyObject *_upload;
    char _whole;
} lockgate___exchange___request___RoutedRequestObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___resume___DivergedErrorObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_id;
    CPyTagged _size_bytes;
    char _resumable;
    char _is_thought;
    PyObject *__parts;
} lockgate___exchange___resume___DeliveredTextObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__spoken;
    tuple_T2II __before;
    PyObject *_skipping;
} lockgate___exchange___resume___ContinuationObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged __second;
    CPyTagged __requests;
    CPyTagged __repeats;
    CPyTagged __previous;
} lockgate___exchange___retry_budget___RetryBudgetObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___sse___EventTooLargeErrorObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__held;
    CPyTagged __searched;
    CPyTagged __limit;
    char __any_end;
} lockgate___exchange___sse___SplitterObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
} lockgate___exchange___sse___content_Event_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___exchange___state___ImpossibleEventErrorObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_client;
    CPyTagged _body;
    PyObject *_code;
    PyObject *_status;
} lockgate___exchange___tally___BlameObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _failures;
    CPyTagged _good;
    PyObject *_failed_by;
    PyObject *_good_by;
    PyObject *_bodies;
    PyObject *_reasons;
} lockgate___exchange___tally____HalfObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _failures;
    CPyTagged _good;
    CPyTagged __unreached;
    PyObject *__run;
    PyObject *__worst;
    PyObject *__body;
    CPyTagged __index;
    PyObject *__now;
    PyObject *__before;
} lockgate___exchange___tally___TallyObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
} lockgate___exchange___tally___is_another_Suspect_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *___mypyc_self__;
    PyObject *_before;
} lockgate___exchange___tally____roll_Tally_envObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    vectorcallfunc vectorcall;
    PyObject *___mypyc_env__;
} lockgate___exchange___tally_____mypyc_lambda__0__roll_Tally_objObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_request;
    PyObject *_ports;
    PyObject *_state;
    double _started_s;
    PyObject *_attempts;
    PyObject *_deadlines;
    PyObject *_splices;
    PyObject *_status;
    PyObject *_code;
    PyObject *_outcome;
    PyObject *_terminal;
    CPyTagged _bytes_out;
    PyObject *_first_token_s;
    PyObject *_usage;
    PyObject *_response;
    CPyTagged _malformed_before;
    tuple_T2II _tokens_before;
    char __resumes;
    PyObject *__spoken;
    PyObject *__continuation;
    PyObject *__document;
    PyObject *__limits;
    PyObject *__failed_in;
    PyObject *__total_armed;
    char __heartbeat_armed;
    char __head_out;
    double __waiting_since_s;
    PyObject *__refusal;
    PyObject *__relay;
    char __begun;
    double __grace_s;
    PyObject *__held;
    CPyTagged __held_bytes;
    CPyTagged __booked;
    PyObject *__out;
    PyObject *__waits;
    PyObject *__outgoing;
} lockgate___exchange___telling___TellingObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _prompt;
    CPyTagged _completion;
    PyObject *_source;
} lockgate___exchange___tokens___TokensObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_request;
    PyObject *_ports;
    PyObject *_state;
    double _started_s;
    PyObject *_attempts;
    PyObject *_deadlines;
    PyObject *_splices;
    PyObject *_status;
    PyObject *_code;
    PyObject *_outcome;
    PyObject *_terminal;
    CPyTagged _bytes_out;
    PyObject *_first_token_s;
    PyObject *_usage;
    PyObject *_response;
    CPyTagged _malformed_before;
    tuple_T2II _tokens_before;
    char __resumes;
    PyObject *__spoken;
    PyObject *__continuation;
    PyObject *__document;
    PyObject *__limits;
    PyObject *__failed_in;
    PyObject *__total_armed;
    char __heartbeat_armed;
    char __head_out;
    double __waiting_since_s;
    PyObject *__refusal;
    PyObject *__relay;
    char __begun;
    double __grace_s;
    PyObject *__held;
    CPyTagged __held_bytes;
    CPyTagged __booked;
    PyObject *__out;
    PyObject *__waits;
    PyObject *__outgoing;
} lockgate___exchange___trying___TryingObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___http1___framing___FramingErrorObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _left;
    char _done;
    PyObject *_surplus;
} lockgate___http1___framing___LengthBodyObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    char _done;
    PyObject *_surplus;
} lockgate___http1___framing___UntilCloseObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    char _done;
    PyObject *_surplus;
    PyObject *__rest;
    CPyTagged __left;
    char __ending;
    char __trailing;
    CPyTagged __trailer_bytes;
    PyObject *_trailers;
} lockgate___http1___framing___ChunkedBodyObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_target;
    PyObject *_fields;
} lockgate___http1___grammar___SecondReaderObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__labels;
    PyObject *__origins;
    PyObject *__varies;
    char __on_loopback;
} lockgate___http1___head_rules___HeadRulesObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_door;
    char _expects_continue;
    char _keep_alive;
    PyObject *_headers;
    PyObject *_model;
    PyObject *_dropped;
    char _chunked;
    char _http10;
    char _bodiless;
    PyObject *_client_request_id;
    PyObject *_cors;
    PyObject *_options;
} lockgate___http1___request_head___HeadObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__memo;
    PyObject *_rules;
} lockgate___http1___request_head___HeadsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___http1___response_head___ProtocolErrorObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _status;
    PyObject *_framing;
    PyObject *_kind;
    char _coded;
    char _keep_alive;
    PyObject *_retry_after_s;
    PyObject *_passed_on;
    PyObject *_hints;
    PyObject *_own_id;
    PyObject *_fields;
} lockgate___http1___response_head___ResponseHeadObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__memo;
} lockgate___http1___response_head___ResponseHeadsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_policy;
    CPyTagged _bound;
    CPyTagged _bound_bytes;
    PyObject *__backends;
    PyObject *__by_id;
    PyObject *_matchers;
    PyObject *__key;
    PyObject *_header_names;
    PyObject *__memo;
    CPyTagged __memo_bytes;
} lockgate___policy___deciding___decide___DeciderObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_model;
    PyObject *_labels;
    PyObject *_complexity;
    PyObject *_team;
    PyObject *_headers_read;
    PyObject *_rule;
    PyObject *_via;
    PyObject *_considered;
    PyObject *_policy_digest;
    PyObject *_rule_name;
} lockgate___policy___deciding___decision___ReadingObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_reading;
    PyObject *_candidates;
    char _is_in_order;
    char _is_shadowed;
} lockgate___policy___deciding___decision___RouteObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_reading;
    CPyTagged _status;
    PyObject *_code;
} lockgate___policy___deciding___decision___RefuseObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_router;
    PyObject *_connection;
    PyObject *_exchange;
    PyObject *__upstream;
    PyObject *__cancel_dial;
    PyObject *__pool;
    PyObject *__producer;
    PyObject *__events;
    char __running;
    char __producing;
    PyObject *__phase;
    PyObject *__phase_name;
    PyObject *__total;
    PyObject *__beat;
    double __phase_s;
    char __watching;
    double __silence_s;
    double __idle_s;
    double __data_due;
    PyObject *__armed_s;
} lockgate___server___driver___ExchangeDriverObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_registry;
    PyObject *__tallies;
    PyObject *__attempts;
    PyObject *__shadows;
    PyObject *__alarms;
    PyObject *__reloads;
    PyObject *__certificates;
    PyObject *__policy;
} lockgate___server___metrics___MetricsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _number;
} lockgate___server___metrics___CountObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_bounds;
    PyObject *__limits;
    CPyTagged __last;
    PyObject *_counts;
    double _total;
} lockgate___server___metrics___HistogramObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    CPyTagged _requests;
    PyObject *_duration;
    PyObject *_first_token;
    PyObject *_per_token;
    PyObject *_prompt;
    PyObject *_completion;
} lockgate___server___metrics___TallyObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__tallies;
} lockgate___server___metrics____RequestsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__counts;
} lockgate___server___metrics____AttemptsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__name;
    PyObject *__text;
    PyObject *__label;
    PyObject *__values;
} lockgate___server___metrics____EachObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    uint32_t mypyc_running;
    PyObject *___mypyc_generator_frame_attribute__self;
    int32_t ___mypyc_next_label__;
    CPyTagged ___mypyc_temp__3_lockgate___server___metrics___collect__Requests_gen_0;
    PyObject *___mypyc_temp__2_lockgate___server___metrics___collect__Requests_gen_0;
    int64_t ___mypyc_temp__2_lockgate___server___metrics___collect__Requests_gen_1;
    PyObject *___mypyc_temp__2_lockgate___server___metrics___collect__Requests_gen_2;
} lockgate___server___metrics___collect__Requests_genObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    uint32_t mypyc_running;
    PyObject *___mypyc_generator_frame_attribute__self;
    int32_t ___mypyc_next_label__;
} lockgate___server___metrics___collect__Attempts_genObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    uint32_t mypyc_running;
    PyObject *___mypyc_generator_frame_attribute__self;
    int32_t ___mypyc_next_label__;
} lockgate___server___metrics___collect__Each_genObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_decision;
    PyObject *_fields;
    PyObject *_rule;
} lockgate___server___recorder____DecidedObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *_sink;
    PyObject *_metrics;
    PyObject *_wall;
    PyObject *_now;
    PyObject *_digest;
    PyObject *_alarmed;
    PyObject *__worker;
    CPyTagged __sequence;
    PyObject *__memo;
    CPyTagged __memo_bytes;
    CPyTagged _bound_bytes;
    PyObject *__limits;
} lockgate___server___recorder___RecorderObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    PyObject *__prefix;
    CPyTagged __number;
    PyObject *__begin;
} lockgate___server___request_ids___RequestIdsObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    uint32_t bitmap;
    PyObject *_reactor;
    PyObject *_names;
    PyObject *_wheel;
    PyObject *_upstream_state;
    PyObject *_credentials;
    PyObject *_recorder;
    PyObject *_next_request_id;
    PyObject *_addresses;
    PyObject *_heads;
    PyObject *__listens_on;
    PyObject *_memory;
    PyObject *_connections;
    PyObject *_later;
    PyObject *_runs;
    char _draining;
    char _stopping;
    PyObject *_pools;
    PyObject *_shadows;
    PyObject *_health;
    double _keep_alive_s;
    CPyTagged _min_read_rate;
    PyObject *__models;
    PyObject *__policy_header;
    PyObject *__rule_headers;
    PyObject *__prefixes;
    PyObject *__model;
} lockgate___server___router___RequestRouterObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
    uint32_t bitmap;
    double _retry_after_max_s;
    CPyTagged _max_event_bytes;
    PyObject *_memory;
    PyObject *__now;
    PyObject *_credentials;
    PyObject *__jitter;
    PyObject *_budget;
    PyObject *_breakers;
    PyObject *_latencies;
    PyObject *_unhealthy;
    PyObject *_peers;
    CPyTagged _permits_out;
    PyObject *_failures_counted;
    PyObject *_log;
    PyObject *_policy;
    PyObject *__digest;
    PyObject *__keyless;
    PyObject *_decider;
    PyObject *__without_usage;
    PyObject *__limits;
    PyObject *_orders;
} lockgate___server___upstream_state___UpstreamStateObject;

typedef struct {
    PyObject_HEAD
    CPyVTableItem *vtable;
} lockgate___value___ValueObject;

#endif
