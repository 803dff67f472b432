"""Patches botocore to make mistakes for which boto3 and the AWS CLI have no option.

As a program it is the AWS CLI with the mistakes that its first two arguments name:
`python botocore_faults.py CLOCK_OFFSET_SECONDS SERVICE sagemaker-runtime invoke-endpoint …`.
"""

import datetime
import sys
from contextlib import contextmanager
from unittest import mock

import botocore.auth


@contextmanager
def faults(clock_offset, service):
    """botocore signs as if it were `clock_offset` seconds later, and for `service`."""
    now = botocore.auth.get_current_datetime
    initialise = botocore.auth.SigV4Auth.__init__

    def shifted(**options):
        return now(**options) + datetime.timedelta(seconds=clock_offset)

    def for_service(self, credentials, service_name, region_name):
        initialise(self, credentials, service, region_name)

    with (
        mock.patch("botocore.auth.get_current_datetime", shifted),
        mock.patch("botocore.auth.SigV4Auth.__init__", for_service),
    ):
        yield


if __name__ == "__main__":
    from awscli.clidriver import create_clidriver

    offset, service_name, *arguments = sys.argv[1:]
    with faults(int(offset), service_name):
        sys.exit(create_clidriver().main(arguments))
