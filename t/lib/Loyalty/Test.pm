package Loyalty::Test;

# A private Redis and a private nginx for one test, in a directory of their
# own, stopped and checked when the test ends.
#
#     use lib 't/lib';
#     use Loyalty::Test;
#     use Test::More;
#
#     my $t = Loyalty::Test->new(program => 'wallet points; ...');
#     is($t->event({ id => 'a', member => 'm', type => 'purchase',
#                    amount => '9.00' })->status, 200);
#     is($t->me('m')->json->{wallets}{points}{balance}, 9);
#     done_testing();
#
# new(...) starts both.  It takes
#     program   body of "loyalty_program shop"; it is written to program.conf
#               of its own and included, so that errors tell its lines; a
#               "redis" line is put before it unless it has one
#     name      of the program instead of "shop"
#     main events http server    more text for these places of nginx.conf
#     modules   load_module lines instead of the one for this module
#     conf      a whole nginx.conf instead
#     files     { name => content } to write first
#     workers   1
#     redis     0: none; a hash: appendonly => 1, port => 1 (TCP beside the
#               unix socket), args => [more redis-server arguments]
#     start     0: do not start nginx yet
#     allow     [qr/.../, ...]: lines of error.log that would fail the test
# In all text %%TESTDIR%%, %%PORT%%, %%PORT_x%% (any x: one more free port),
# %%REDIS%% (unix socket), %%REDIS_PORT%% and %%MODULE%% are replaced.
#
# The standard server: /loyalty/ is the member API, the member is in the
# header X-Member or in the argument member; /loyalty-in/ is the event API;
# /metrics.  Responses are those of Loyalty::HTTP.
#     event(\%e, %opt) events(\@e, %opt)    POST an event, or NDJSON lines
#     reversal($id, \%r)  me($member)  history($member, "limit=5")
#     metrics                           { 'name{label="x"}' => value }
#     get($uri, %opt)  post($uri, $body, %opt)  request($method, $uri, ...)
#               $body: bytes, or a reference to be sent as JSON; %opt:
#               headers => {}, timeout => 10, port => 'x' (as in PORT_x)
#     parallel([$method, $uri, $body, %opt], ...)    all at once
#     connect($x)     a raw socket to PORT or PORT_x
#     raw($bytes, %opt)          sends bytes as they are, reads one response
# nginx: start  stop  quit  reload  pid  workers  log  wait_log(qr/../, $s)
#     check(...)      nginx -t: ($ok, $output); of this configuration, or as
#                     a class method with new's arguments
#     refuses($name, $line, $pattern, ...)  accepts($name, ...)
#                     tests of it: class methods, for the same arguments
# Redis: redis (a Loyalty::RESP)  redis_start  redis_stop  redis_kill
#     redis_stall  redis_go  redis_log
# More: dir  port($x)  expand($text)  write_file($name, $text)
#     read_file($name)  wait_for(sub { ... }, $seconds)  allow(qr/../)
#     slow: by what factor to stretch times that a sanitizer makes long
#     guard($pid)  unguard($pid): a process to be killed should the test be
#
# Environment: LOYALTY_NGINX, LOYALTY_MODULE (a path, or "static"),
# LOYALTY_REDIS_SERVER (default redis-server; valkey-server), LOYALTY_LOG
# (level of error.log, default info), LOYALTY_KEEP=1 (keep the directory).
# The end of every test fails it when error.log has an [alert] or [emerg], a
# sanitizer spoke, or a process is left over.

use strict;
use warnings;

use Cwd qw(realpath);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Spec;
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Socket::INET;
use JSON::PP ();
use POSIX qw(:sys_wait_h);
use Test::More;
use Time::HiRes qw(time sleep);

my $root;

BEGIN {
    $root = realpath(dirname(__FILE__) . "/../../..");
    unshift @INC, "$root/bin/lib", "$root/t/lib";
}

use Loyalty::HTTP;
use Loyalty::RESP;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $owner = $$;
my $slow = ($ENV{LOYALTY_MODULE} // '') eq 'static' ? 4 : 1;
my @fixtures;

$ENV{LSAN_OPTIONS} //=
    "suppressions=$root/build-aux/lsan.supp:print_suppressions=0";

$SIG{PIPE} = 'IGNORE';
$SIG{TERM} = $SIG{INT} = $SIG{HUP} = sub { die "interrupted\n" };


sub new {
    my ($class, %arg) = @_;
    my $self = $class->_prepare(%arg);

    push @fixtures, $self;

    $self->redis_start if $self->{redis};
    $self->start if $arg{start} // 1;

    return $self;
}


# everything but the servers
sub _prepare {
    my ($class, %arg) = @_;

    my $self = bless {
        dir => tempdir('loyalty-XXXXXX', TMPDIR => 1),
        nginx => $ENV{LOYALTY_NGINX} || 'nginx',
        module => $ENV{LOYALTY_MODULE}
                  || "$root/build/ngx_http_loyalty_module.so",
        ports => {}, allow => [ @{$arg{allow} // []} ], arg => \%arg,
    }, $class;

    $self->{module} = File::Spec->rel2abs($self->{module}, $root)
        if $self->{module} ne 'static';

    chmod 0755, $self->{dir};
    $self->guard($self->{dir}) if !$ENV{LOYALTY_KEEP};

    if ($arg{redis} // 1) {
        $self->{redis} = { %{ ref $arg{redis} ? $arg{redis} : {} } };
    }

    for my $name (keys %{$arg{files} // {}}) {
        $self->write_file($name, $arg{files}{$name});
    }

    $self->write_file('program.conf', $arg{program} // '');
    $self->write_file('nginx.conf', $arg{conf} // $self->_conf(%arg));

    return $self;
}


sub _conf {
    my ($self, %arg) = @_;

    my $name = $arg{name} // 'shop';
    my $program = $arg{program} // '';
    my ($program_block, $apis) = ('', '');

    if (defined $arg{program}) {
        my $redis = $program =~ /^\s*redis\s/m ? ''
                  : 'redis unix:%%REDIS%%' . ($ENV{LOYALTY_SPLIT} ? ' split;'
                                                                  : ';');

        $program_block = <<END;
    loyalty_program $name {
        $redis
        include program.conf;
    }
END
        $apis = <<END;
        location /loyalty/ {
            loyalty_member_api $name;
            loyalty_member \$test_member;
        }

        location /loyalty-in/ {
            loyalty_event_api $name trusted;
        }

        location /loyalty-admin/ {
            loyalty_admin_api $name trusted;
            loyalty_actor \$test_actor;
        }

        location = /metrics {
            loyalty_metrics;
        }
END
    }

    return $self->_conf_main(%arg) . <<END;

events {
    worker_connections 512;
    @{[ $arg{events} // '' ]}
}

http {
    access_log %%TESTDIR%%/access.log;
    client_body_temp_path %%TESTDIR%%/client_temp;
    proxy_temp_path %%TESTDIR%%/proxy_temp;
    fastcgi_temp_path %%TESTDIR%%/fastcgi_temp;
    uwsgi_temp_path %%TESTDIR%%/uwsgi_temp;
    scgi_temp_path %%TESTDIR%%/scgi_temp;

    map \$http_x_member \$test_member {
        ""       \$arg_member;
        default  \$http_x_member;
    }

    map \$http_x_actor \$test_actor {
        ""       admin;
        default  \$http_x_actor;
    }

$program_block
    @{[ $arg{http} // '' ]}

    server {
        listen 127.0.0.1:%%PORT%%;
        server_name localhost;

$apis
        @{[ $arg{server} // '' ]}
    }
}
END
}


sub _conf_main {
    my ($self, %arg) = @_;

    return join "\n", 'daemon off;',
        $> == 0 ? 'user root;' : (),
        'worker_processes ' . ($arg{workers} // 1) . ';',
        'pid %%TESTDIR%%/nginx.pid;',
        'error_log %%TESTDIR%%/error.log ' . ($ENV{LOYALTY_LOG} || 'info')
            . ';',
        $arg{modules} // 'load_module %%MODULE%%;',
        $arg{main} // '', '';
}


# ---- files, ports, waiting ----

sub dir { return $_[0]{dir} }
sub slow { return $slow }


sub expand {
    my ($self, $text) = @_;

    # a static module is there already
    $text =~ s/^[ \t]*load_module\s+%%MODULE%%;//mg
        if $self->{module} eq 'static';

    $text =~ s/%%TESTDIR%%/$self->{dir}/g;
    $text =~ s/%%MODULE%%/$self->{module}/g;
    $text =~ s/%%REDIS%%/$self->{dir}\/redis.sock/g;
    $text =~ s/%%REDIS_PORT%%/$self->port('redis')/ge;
    $text =~ s/%%PORT(?:_(\w+?))?%%/$self->port($1)/ge;

    return $text;
}


sub write_file {
    my ($self, $name, $text) = @_;

    open my $fh, '>:raw', "$self->{dir}/$name" or die "$name: $!";
    print {$fh} $self->expand($text) or die "$name: $!";
    close $fh or die "$name: $!";

    return "$self->{dir}/$name";
}


sub read_file {
    my ($self, $name) = @_;

    open my $fh, '<:raw', "$self->{dir}/$name" or return '';
    local $/;

    return scalar <$fh> // '';
}


# A free port, ours until the test ends: the UDP socket of the same number
# is the lock that other tests see.
sub port {
    my ($self, $name) = @_;

    my $held = $self->{ports}{$name // ''};
    return $held->{port} if defined $held;

    for (1 .. 1000) {
        my $port = 20000 + int rand 12000;

        my $lock = IO::Socket::INET->new(Proto => 'udp',
            LocalAddr => '127.0.0.1', LocalPort => $port) or next;
        my $probe = IO::Socket::INET->new(Proto => 'tcp', Listen => 1,
            LocalAddr => '127.0.0.1', LocalPort => $port,
            ReuseAddr => 1) or next;
        close $probe;

        $self->{ports}{$name // ''} = { port => $port, lock => $lock };
        return $port;
    }

    die "no free port\n";
}


sub wait_for {
    my ($self, $condition, $seconds) = @_;
    my $deadline = time + ($seconds // 10) * $slow;

    while (1) {
        my $value = $condition->();
        return $value if $value;
        return '' if time > $deadline;
        sleep 0.02;
    }
}


# ---- HTTP ----

sub get { my ($self, $uri, %opt) = @_;
          return $self->request('GET', $uri, undef, %opt) }

sub post { my ($self, $uri, $body, %opt) = @_;
           return $self->request('POST', $uri, $body, %opt) }


sub request {
    my ($self, @request) = @_;

    return ($self->parallel(\@request))[0];
}


sub parallel {
    my ($self, @requests) = @_;
    my $timeout = 10;
    my @exchange;

    for (@requests) {
        my ($method, $uri, $body, %opt) = @$_;

        $body = $json->encode($body) if ref $body;
        $timeout = $opt{timeout} if defined $opt{timeout};

        push @exchange, [
            $self->connect($opt{port}),
            Loyalty::HTTP::format_request($method, $uri, $body,
                                          %{$opt{headers} // {}}),
        ];
    }

    return Loyalty::HTTP::exchange($timeout * $slow, @exchange);
}


sub connect {
    my ($self, $name) = @_;

    return Loyalty::HTTP::dial('127.0.0.1:' . $self->port($name));
}


sub raw {
    my ($self, $bytes, %opt) = @_;

    return scalar Loyalty::HTTP::exchange(
        ($opt{timeout} // 10) * $slow, [$self->connect($opt{port}), $bytes]);
}


sub event { my ($self, $event, %opt) = @_;
            return $self->post('/loyalty-in/events', $event, %opt) }


sub events {
    my ($self, $events, %opt) = @_;

    $opt{headers} = { 'Content-Type' => 'application/x-ndjson',
                      %{$opt{headers} // {}} };

    return $self->post('/loyalty-in/events',
        join('', map { (ref $_ ? $json->encode($_) : $_) . "\n" } @$events),
        %opt);
}


sub reversal {
    my ($self, $id, $reversal, %opt) = @_;

    return $self->post('/loyalty-in/events/' . _escape($id) . '/reversal',
                       $reversal, %opt);
}


sub me { my ($self, $member, %opt) = @_;
         return $self->get('/loyalty/me?member=' . $member, %opt,
                           headers => { 'X-Member' => $member }) }


sub history {
    my ($self, $member, $args, %opt) = @_;

    return $self->get('/loyalty/me/history' . (defined $args ? "?$args" : ''),
                      %opt, headers => { 'X-Member' => $member });
}


sub metrics {
    my ($self) = @_;

    return { map { /^([^#\s]\S*(?:\{.*\})?) (\S+)$/ ? ($1, $2) : () }
             split /\n/, $self->get('/metrics')->body };
}


sub _escape {
    my ($text) = @_;

    utf8::encode($text) if utf8::is_utf8($text);
    $text =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ge;

    return $text;
}


# ---- nginx ----

sub start {
    my ($self) = @_;

    $self->{pid} = $self->_spawn('stderr.log', $self->_nginx);

    $self->wait_for(sub {
        return 1 if !$self->_alive('pid');
        return 0 if !-s "$self->{dir}/nginx.pid";
        return 1 if !defined $self->{ports}{''};
        return defined IO::Socket::INET->new(
            PeerAddr => '127.0.0.1:' . $self->port);
    }, 20);

    if (!$self->_alive('pid') || !-s "$self->{dir}/nginx.pid") {
        die "nginx did not start\n", $self->read_file('stderr.log'),
            $self->log;
    }

    return $self;
}


sub _nginx {
    my ($self, @more) = @_;

    return ($self->{nginx}, '-p', $self->{dir},
            '-c', "$self->{dir}/nginx.conf",
            '-e', "$self->{dir}/error.log", @more);
}


sub pid { return $_[0]{pid} }


# what loads lua-nginx-module, or nothing where it cannot be
sub lua_modules {
    my $dir = '/usr/lib/nginx/modules';

    return if !-e "$dir/ngx_http_lua_module.so"
              || ($ENV{LOYALTY_MODULE} // '') eq 'static';
    return "load_module $dir/ndk_http_module.so;\n"
           . "load_module $dir/ngx_http_lua_module.so;\n";
}


sub workers {
    my ($self) = @_;

    return map { $_->{pid} } grep { $_->{parent} == $self->{pid} }
           _processes();
}


sub stop { return $_[0]->_end('pid', 'TERM', $_[1] // 10) }
sub quit { return $_[0]->_end('pid', 'QUIT', $_[1] // 20) }


# until new workers are there; with wait => 1 until the old ones are gone
sub reload {
    my ($self, %opt) = @_;

    my %old = map { $_ => 1 } $self->workers;
    kill 'HUP', $self->{pid};

    my $ok = $self->wait_for(sub {
        my @now = $self->workers;
        my @kept = grep { $old{$_} } @now;
        return @now > @kept && (!$opt{wait} || !@kept);
    }, $opt{timeout} // 10);

    return $ok;
}


sub log { return $_[0]->read_file('error.log') }


sub wait_log {
    my ($self, $pattern, $seconds) = @_;

    return $self->wait_for(sub { $self->log =~ $pattern }, $seconds);
}


sub check {
    my ($self, %arg) = @_;
    my $own;

    if (!ref $self) {
        $self = $own = $self->_prepare(%arg, redis => 0);
    }

    # nginx -t leaves its memory to the kernel
    local $ENV{ASAN_OPTIONS} = 'detect_leaks=0';
    my $pid = $self->_spawn('check.log', $self->_nginx('-t'));
    waitpid $pid, 0;
    my $ok = $? == 0;
    $self->unguard($pid);
    my $output = $self->read_file('check.log');

    if ($own) {
        remove_tree($self->{dir});
        $self->unguard($self->{dir});
    }
    die "nginx -t: $output" if $output =~ /Sanitizer|runtime error:/;

    return ($ok, $output);
}


# two tests, of a configuration that is refused for a reason in a line of
# program.conf, or one, of one that is accepted; what nginx -t said
sub refuses {
    my ($class, $name, $line, $pattern, %conf) = @_;
    my ($ok, $output) = $class->check(%conf);

    ok(!$ok, $name);
    like($output,
         qr/\[emerg\][^\n]*(?:$pattern)[^\n]* in \S*program\.conf:$line$/m,
         "$name: with its line");

    return $output;
}


sub accepts {
    my ($class, $name, %conf) = @_;
    my ($ok, $output) = $class->check(%conf);

    ok($ok, $name) or diag($output);

    return $output;
}


# ---- Redis ----

sub redis_start {
    my ($self) = @_;
    my $redis = $self->{redis};

    $redis->{pid} = $self->_spawn('redis.log',
        $ENV{LOYALTY_REDIS_SERVER} || 'redis-server',
        '--port', $redis->{port} ? $self->port('redis') : 0,
        '--bind', '127.0.0.1',
        '--unixsocket', "$self->{dir}/redis.sock", '--dir', $self->{dir},
        '--save', '', '--appendonly', $redis->{appendonly} ? 'yes' : 'no',
        '--appendfsync', $redis->{appendfsync} // 'always',
        '--enable-debug-command', 'yes', '--daemonize', 'no',
        @{$redis->{args} // []});

    # "LOADING" is an answer too, but not yet what a test can use
    $self->wait_for(sub {
        delete $self->{resp};
        return eval { $self->redis->call('PING'); 1 }
            || $@ =~ /NOAUTH/ || !$self->_alive('redis');
    });

    die "redis-server did not start\n", $self->redis_log
        if !$self->_alive('redis');

    return $self;
}


sub redis {
    my ($self) = @_;

    return $self->{resp} //= Loyalty::RESP->new(
        "unix:$self->{dir}/redis.sock", timeout => 10 * $slow);
}


sub redis_stop { return $_[0]->_end_redis('TERM') }
sub redis_kill { return $_[0]->_end_redis('KILL') }
sub redis_stall { return kill 'STOP', $_[0]{redis}{pid} }
sub redis_go { return kill 'CONT', $_[0]{redis}{pid} }
sub redis_log { return $_[0]->read_file('redis.log') }


sub _end_redis {
    my ($self, $signal) = @_;

    delete $self->{resp};

    # one that stalls is killed as it is: let go, it would answer first
    $self->redis_go if defined $self->{redis}{pid} && $signal ne 'KILL';

    return $self->_end('redis', $signal, 10);
}


# ---- processes ----

sub guard { return _guard("+$_[1]") }
sub unguard { return _guard("-$_[1]") }


# A test that is killed stops nothing and removes nothing.  A process of its
# own waits for its end and then does so with what is still on its list:
# "+123" and "-123" put a pid, and its group, on the list and take it away,
# "+/path" and "-/path" a directory.

my $guard;

sub _guard {
    my ($line) = @_;

    if (!defined $guard) {
        pipe my $read, $guard or die "pipe: $!";
        $guard->autoflush(1);

        my $pid = fork;
        defined $pid or die "fork: $!";

        if ($pid == 0) {
            setpgrp 0, 0;
            $SIG{$_} = 'IGNORE' for qw(TERM INT HUP);
            open $_, '+<', '/dev/null' for *STDIN, *STDOUT, *STDERR;

            # what is printed goes through copies of these, too
            $_ != fileno $read && POSIX::close($_) for 3 .. 1023;

            _guard_run($read);
            POSIX::_exit(0);
        }

        close $read;
    }

    print {$guard} "$line\n";
    return;
}


sub _guard_run {
    my ($read) = @_;
    my ($buf, %list) = ('');

    # who forks in a test keeps our pipe open: the parent counts as well
    while (getppid == $owner) {
        vec(my $bits = '', fileno $read, 1) = 1;
        next if !select $bits, undef, undef, 0.5;
        last if !sysread $read, $buf, 4096, length $buf;

        while ($buf =~ s/^([+-])([^\n]*)\n//) {
            $1 eq '+' ? ($list{$2} = 1) : delete $list{$2};
        }
    }

    my @pids = grep { /^\d/ } keys %list;
    kill 'KILL', @pids, map { -$_ } @pids if @pids;
    remove_tree(grep { /^\// } keys %list);

    return;
}


sub _spawn {
    my ($self, $log, @command) = @_;

    my $pid = fork;
    defined $pid or die "fork: $!";

    if ($pid) {
        $self->guard($pid);
        return $pid;
    }

    # a group of its own: what is left of it is found by that
    setpgrp 0, 0;
    open STDIN, '<', '/dev/null';
    open STDOUT, '>>', "$self->{dir}/$log";
    open STDERR, '>&', \*STDOUT;
    { no warnings 'exec'; exec @command; }

    print STDERR "cannot run $command[0]: $!\n";
    POSIX::_exit(127);
}


sub _slot {
    my ($self, $which) = @_;
    return $which eq 'redis' ? \$self->{redis}{pid} : \$self->{pid};
}


sub _alive {
    my ($self, $which) = @_;
    my $pid = ${ $self->_slot($which) };

    return defined $pid && waitpid($pid, WNOHANG) == 0;
}


# true when it went by itself in time
sub _end {
    my ($self, $which, $signal, $seconds) = @_;

    my $slot = $self->_slot($which);
    my $pid = $$slot;
    return 1 if !defined $pid;

    undef $$slot;
    kill $signal, $pid;

    my $ok = $self->wait_for(sub { waitpid($pid, WNOHANG) != 0 }, $seconds);

    if (!$ok) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }

    if ($which eq 'pid') {
        my @left = $self->wait_for(sub { !_group($pid) }, 2)
                 ? () : _group($pid);
        $self->_complain("left over: processes @left") if @left;
        kill 'KILL', @left if @left;
    }

    $self->unguard($pid);

    return $ok ? 1 : '';
}


sub _group {
    my ($group) = @_;

    return map { $_->{pid} }
           grep { $_->{group} == $group && $_->{state} ne 'Z' } _processes();
}


sub _processes {
    my @found;

    for my $file (glob '/proc/[0-9]*/stat') {
        open my $fh, '<', $file or next;
        my $line = <$fh> // next;
        my ($pid, $state, $parent, $group)
            = $line =~ /^(\d+) \(.*\) (\S) (\d+) (\d+) / or next;
        push @found, { pid => $pid, state => $state, parent => $parent,
                       group => $group };
    }

    return @found;
}


# ---- the end ----

sub allow {
    my ($self, @patterns) = @_;

    push @{$self->{allow}}, @patterns;
    return;
}


sub _complain {
    my ($self, $text) = @_;

    push @{$self->{complaints}}, $text;
    return;
}


sub _finish {
    my ($self) = @_;

    $self->_complain('nginx had to be killed') if !$self->stop;
    $self->_end_redis('KILL') if $self->{redis};

    LINE: for (split /\n/, $self->log . $self->read_file('stderr.log')) {
        next if !/\[(?:alert|emerg)\]|Sanitizer|runtime error:/;
        for my $pattern (@{$self->{allow}}) {
            next LINE if $_ =~ $pattern;
        }
        $self->_complain($_);
    }

    return @{$self->{complaints} // []};
}


END {
    if ($$ == $owner) {
        my $status = $?;
        my $failed = $status != 0 || !Test::More->builder->is_passing;

        for my $self (@fixtures) {
            my @complaints = eval { $self->_finish };
            push @complaints, $@ if $@;

            # a worker that dies at once is started again and again
            diag($_) for @complaints[0 .. ($#complaints < 20 ? $#complaints
                                                             : 20)];
            $status ||= 1 if @complaints;

            if ($failed || @complaints) {
                my @log = grep { !/\[(?:debug|info|notice)\]/ }
                          split /\n/, $self->log;
                splice @log, 0, -30 if @log > 30;
                diag(join "\n", "end of $self->{dir}/error.log:", @log);
            }

            if (!$ENV{LOYALTY_KEEP}) {
                remove_tree($self->{dir});
                $self->unguard($self->{dir});
            }
        }

        $? = $status;
    }
}


1;
