"""Blood Cell Lab: which network reads blood cells best, and at what cost?"""
