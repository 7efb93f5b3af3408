package Loyalty::Bench::Profile;

# Where processes spend their time, in a line, when perf is there.
#
#     my $profile = Loyalty::Bench::Profile->new("$dir/profile", @pids);
#     ... what is to be looked at ...
#     my $line = $profile->stop;       # '' without perf

use strict;
use warnings;

use POSIX ();

my $OBJECTS = 5;
my $SYMBOLS = 8;


sub new {
    my ($class, $file, @pids) = @_;
    my $self = bless { file => $file }, $class;

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDOUT, '>', "$file.log";
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec';
          exec 'perf', 'record', '-q', '-e', 'cpu-clock', '-F', 1999,
               '-o', $file, '-p', join ',', @pids; }
        POSIX::_exit(127);
    }

    # it has to find all the threads first
    select undef, undef, undef, 0.5;
    $self->{pid} = $pid;

    return $self;
}


sub stop {
    my ($self) = @_;

    kill 'INT', $self->{pid};
    waitpid $self->{pid}, 0;

    return '' if !-s $self->{file};

    my @objects = $self->report('dso', $OBJECTS);
    my @symbols = $self->report('dso,symbol', $SYMBOLS);

    unlink $self->{file}, "$self->{file}.log";

    return @objects ? join(', ', @objects) . '; most of it: '
                      . join(', ', @symbols) : '';
}


sub report {
    my ($self, $sort, $n) = @_;
    my @found;

    open my $fh, '-|', 'sh', '-c', 'exec perf report -q --stdio -g none -i "$1" '
        . '--sort "$2" --field-separator="|" 2> /dev/null', 'sh',
        $self->{file}, $sort or return;

    while (<$fh>) {
        my ($percent, $object, $symbol)
            = /^\s*([\d.]+)%\s*\|([^|\n]+)(?:\|([^|\n]*))?/ or next;

        s/\s+$//, s/^\s+// for $object, $symbol // ();
        $object =~ s/^\[(\w+).*\]$/$1/;
        $object =~ s/\.so\b.*$//;
        $object =~ s/^redis-check-\w+$/redis-server/;
        next if defined $symbol && $symbol =~ /\b0x[0-9a-f]{8}/;

        my $what = defined $symbol ? $symbol =~ s/^\[.\]\s*//r : $object;
        push @found, sprintf '%s %.0f %%', $what, $percent if @found < $n;
    }

    close $fh;

    return @found;
}


1;
